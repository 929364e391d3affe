"""On PYTHONPATH of a process this makes `platform: local` the platform in memory."""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from dataclasses import replace
from types import ModuleType


class _Patch(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> object:
        if name != "imagewright.platforms":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            memory = replace(module.PLATFORMS["local"], create="memory_platform:platform")  # type: ignore[attr-defined]
            module.PLATFORMS |= {"local": memory, "memory": memory}  # type: ignore[attr-defined]

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, _Patch())  # type: ignore[arg-type]
