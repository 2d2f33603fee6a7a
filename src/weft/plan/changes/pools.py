"""Pools: made, changed, taken away. What was taken from one is a machine, and has nothing to do with it. Pure."""

from weft.model.pool import PoolSpec
from weft.model.steps import Kind, Verb
from weft.plan.changes.settle import full_name, same_image
from weft.plan.changes.words import compare
from weft.plan.changes.work import UNNAMED, Work


def add_pools(work: Work) -> None:
    """The steps of pools. One is filled once its image is there."""
    wanted = work.file.pool_specs()
    for name, spec in wanted.items():
        before = _find_now(work, name)
        if before is None:
            key = work.add(Kind.POOL, name, Verb.CREATE, spec=spec, why=("it is not there",))
        elif changed := _find_changed(work, before, spec):
            key = work.add(Kind.POOL, name, Verb.CHANGE, spec=spec, why=tuple(compare(before, spec, changed)))
        else:
            continue
        work.draft.need(key, work.images.get(name))
    kept = {full_name(name) for name in wanted}
    for name in work.once.pools:
        if full_name(name) not in kept and _find_now(work, name) is not None:
            work.add(Kind.POOL, name, Verb.REMOVE, why=(UNNAMED,))


def _find_now(work: Work, name: str) -> PoolSpec | None:
    """The pool of an image, by whatever name of it."""
    image = work.scene.knowledge.find_image(name)
    return next((pool for pool in work.now.pools.values() if same_image(pool.image, name, image)), None)


def _find_changed(work: Work, before: PoolSpec, after: PoolSpec) -> list[str]:
    """What is said otherwise; memory that the image asks for anyway need not be said."""
    image = work.scene.knowledge.find_image(after.image)
    usual = image.memory if image else None
    same_memory = (before.memory or usual) == (after.memory or usual)
    parts = ["size", "cpus"] if same_memory else ["size", "memory", "cpus"]
    return [part for part in parts if getattr(before, part) != getattr(after, part)]
