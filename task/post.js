// Runs after the job, also after a cancelled one: finishes the clean-up that the job had no time for.
'use strict';

require('./index.js').cleanUp();
