"""Programs: what a pack computes on its devices, from its members' arrays to their scores.

Each maker returns `packed(members, shared)` over arrays with a leading member axis; the result is a
dict of arrays with the same axis: scores float32[V, M, outputs], loss, diverged_at (and params).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxbias.models import Head, Network
from jaxbias.parallel import SPLIT, WHOLE, map_variants
from jaxbias.training import (
    Schedule,
    State,
    Step,
    Steps,
    Trained,
    advance,
    batches_of,
    make_fit,
    make_rung,
    make_score,
    make_train,
)

Packed = Callable[[Any, Any], dict[str, Any]]


def axes_of(make: Callable) -> tuple[str, ...]:
    """Returns the axes of the mesh that the members of a program are split over.

    The batches of whole networks are split over the axis "data". Heads and blocks of images are so
    many and so small that each has one device.
    """
    return WHOLE if make in (heads, fitted_heads, extraction, extraction_fed) else SPLIT


def donated(make: Callable, *static: Any) -> int:
    """Returns how many of a member's arrays, from the first, the results of a program replace.

    Only results of the same shapes can: parameters of networks that are returned, and states.
    """
    keeps = make is networks and static[2]
    return int(keeps or make is advanced)


def networks(network: Network, schedule: Schedule, keep: bool, parts: int, mode: str) -> Packed:
    """Whole networks on images; their parameters are returned only where they are kept.

    Members: (params, examples, hyper, key); shared: (ids to score, images).
    """
    train, score = make_train(network, schedule, parts), make_score(network, parts)

    def one(member: tuple, shared: tuple) -> dict[str, Any]:
        params, examples, hyper, key = member
        scored, images = shared
        trained = train(params, examples, hyper, jax.random.wrap_key_data(key), images)
        out = {
            "scores": score(trained.params, scored, images),
            "loss": trained.loss,
            "diverged_at": trained.diverged_at,
        }
        return {**out, "params": trained.params} if keep else out

    return map_variants(one, mode)


def rung(network: Network | Head, schedule: Schedule, mode: str) -> Packed:
    """A rung of a search: trials go on from where they stopped, and end with a state to go on from.

    Members: (state, examples, hyper, key); shared: (ids to score, images, or features of a head,
    and the epochs int32[2] before the rung and in its end). Scores are float32[V, epochs, M].
    """
    train = make_rung(network, schedule)

    def one(member: tuple, shared: tuple) -> dict[str, Any]:
        state, examples, hyper, key = member
        state, scores = train(state, examples, hyper, jax.random.wrap_key_data(key), *shared)
        end = {"loss": state.loss, "diverged_at": state.diverged_at}
        return {"scores": scores, "state": state, **end}

    return map_variants(one, mode)


def begun(network: Network, schedule: Schedule, refits: bool, parts: int, mode: str) -> Packed:
    """States before the first step of a phase.

    Members: (params,), or of a refit (the state in which the first phase ended,).
    """
    step = Step(network, schedule, refits)
    begin = step.renew if refits else step.begin
    return map_variants(lambda member, _: begin(*member), mode)


def advanced(network: Network, schedule: Schedule, refits: bool, parts: int, mode: str) -> Packed:
    """States some steps later, on images that come from the host.

    Members: (state, examples, hyper, key, batches int32[K, batch], images uint8[K, batch, S, S,
    3]); shared: how many of the K are taken, int32[].
    """
    step = Step(network, schedule, refits)

    def one(member: tuple, count: jax.Array) -> State:
        state, examples, hyper, data, batches, images = member
        steps, span = Steps(batches, images), (jnp.int32(0), count)
        key = jax.random.wrap_key_data(data)
        return advance(step, state, steps, span, examples, hyper, key, None, parts)

    return map_variants(one, mode)


def rated(network: Network, parts: int, mode: str) -> Packed:
    """Scores of networks on images that come from the host. Members: (params,); shared: images."""
    score = make_score(network, parts)

    def one(member: tuple, images: jax.Array) -> jax.Array:
        return score(*member, jnp.arange(images.shape[0], dtype=jnp.int32), images)

    return map_variants(one, mode)


def heads(head: Head, schedule: Schedule, mode: str) -> Packed:
    """Heads by SGD on the features of one base, all of one seed.

    Members: (params, examples, hyper); shared: (rows to score, features, key). The order of the
    batches is the key's and so the same for all: sorting for it anew would take as long as a head.
    """
    train = make_train(head, schedule)

    def packed(members: tuple, shared: tuple) -> dict[str, Any]:
        scored, features, data = shared
        key = jax.random.wrap_key_data(data)

        def one(member: tuple, shared: tuple) -> Trained:
            batches, features = shared
            return train(*member, key, features, batches)

        trained = map_variants(one, mode)(members, (batches_of(key, schedule), features))
        return _scored(head, trained, features[scored])

    return packed


def fitted_heads(head: Head, objective: str, mode: str) -> Packed:
    """Heads fitted to convergence on the principal features of one base.

    Members: (examples, penalty); shared: (rows to score, features, their variances).
    """
    fit = make_fit(head, objective)

    def packed(members: tuple, shared: tuple) -> dict[str, Any]:
        scored, features, variances = shared

        def one(member: tuple, shared: tuple) -> Trained:
            return fit(*member, *shared)

        trained = map_variants(one, mode)(members, (variances, features))
        return _scored(head, trained, features[scored])

    return packed


def _scored(head: Head, trained: Trained, features: jax.Array) -> dict[str, Any]:
    """Scores all heads in one matrix product over float[M, F]."""
    logits = jax.vmap(head.logits, in_axes=(0, None))(trained.params, features)
    return {"scores": logits, "loss": trained.loss, "diverged_at": trained.diverged_at}


def extraction(network: Network, mode: str) -> Callable[[Any, Any], jax.Array]:
    """Features of images without flips. Members: ids int32[V, B]; shared: (params, images)."""

    def block(ids: jax.Array, shared: tuple) -> jax.Array:
        params, images = shared
        return network.features(params, images[ids])

    return map_variants(block, mode)


def extraction_fed(network: Network, mode: str) -> Callable[[Any, Any], jax.Array]:
    """The same of images that come from the host, uint8[V, B, S, S, 3]; shared: params."""
    return map_variants(lambda images, params: network.features(params, images), mode)
