"""The only package that knows everybody: validate, plan, build, cleanup and the small commands.

Each takes `Options`, or an `Order` that holds them, and gives data back; nothing is printed here. Everything is
imported on use.
"""

from imagewright.app.building import build as build
from imagewright.app.building import built_from as built_from
from imagewright.app.building import exit_code as exit_code
from imagewright.app.building import plan as plan
from imagewright.app.cleaning import cleanup as cleanup
from imagewright.app.order import Order as Order
from imagewright.app.order import Prepare as Prepare
from imagewright.app.planned import foreseen as foreseen
from imagewright.app.platform import cache_list as cache_list
from imagewright.app.platform import cache_prune as cache_prune
from imagewright.app.platform import doctor as doctor
from imagewright.app.results import refused as refused
from imagewright.app.results import tell_result as tell_result
from imagewright.app.settings import with_whereabouts as with_whereabouts
from imagewright.app.validating import validate as validate
