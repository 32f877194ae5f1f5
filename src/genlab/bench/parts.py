"""The parts of `genlab bench`, by name."""

from collections.abc import Callable, Mapping

from genlab.bench import (
    events,
    loading,
    loop,
    measuring,
    memory,
    preparation,
    sampling,
    scaling,
    startup,
    training,
)
from genlab.bench.measure import Scope
from genlab.bench.page import Section

PARTS: Mapping[str, Callable[[Scope], Section]] = {
    "training": training.measure,
    "memory": memory.measure,
    "sampling": sampling.measure,
    "scaling": scaling.measure,
    "measuring": measuring.measure,
    "preparation": preparation.measure,
    "loading": loading.measure,
    "loop": loop.measure,
    "events": events.measure,
    "start-up": startup.measure,
}
