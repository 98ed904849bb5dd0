"""A rung: a stretch of epochs of a run, from where it stopped, scored after every epoch."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias.models import Head, Network
from jaxbias.training.run import (
    Examples,
    Hyper,
    Phase,
    Schedule,
    State,
    Steps,
    batches_of,
    make_score,
)

Rung = Callable[..., tuple[State, jax.Array]]


def make_rung(network: Network | Head, schedule: Schedule, first: int) -> Rung:
    """Makes the epochs of a run that follow its first ones.

    Rungs one after another are the uninterrupted run: the batches of a shorter schedule are the
    first ones of a longer, and no step looks at the run's length.

    Args:
      network: the architecture, or a head whose `images` are stored features float[N, F].
      schedule: of the run up to the end of this rung, by plain ERM.
      first: epochs trained before it.

    Returns:
      `rung(state, examples, hyper, key, scored, images) -> (state, scores)`: `scored` int32[M] are
      rows of `images`; scores float[E, M] are logits after epochs first + 1, first + 2, ...,
      schedule.epochs. `hyper.drop_at` must be 1.
    """
    phase, score = Phase(network, schedule, schedule.mode), make_score(network)
    begin = _steps(schedule, first)
    ends = [_steps(schedule, epoch) for epoch in range(first + 1, schedule.epochs + 1)]
    # A small n fills batches across epochs: an epoch may end where the last one did.
    marks = np.unique(ends)
    place = np.full(schedule.steps - begin, -1, np.int32)
    place[marks[marks > begin] - begin - 1] = np.flatnonzero(marks > begin)

    def rung(
        state: State,
        examples: Examples,
        hyper: Hyper,
        key: jax.Array,
        scored: jax.Array,
        images: jax.Array,
    ) -> tuple[State, jax.Array]:
        def scores_of(state: State) -> jax.Array:
            return score(state.params, scored, images)[:, 0]

        def step(
            carry: tuple[State, jax.Array], inputs: tuple[Steps, jax.Array]
        ) -> tuple[tuple[State, jax.Array], None]:
            state, scores = carry
            steps, place = inputs
            one = jax.tree.map(lambda x: x[None], steps)
            state = phase.advance(state, one, examples, hyper, key, images)
            # The place depends on the step alone, so vmap keeps this a branch.
            scores = jax.lax.cond(
                place >= 0,
                lambda scores: scores.at[place].set(scores_of(state)),
                lambda scores: scores,
                scores,
            )
            return (state, scores), None

        dtype = jax.tree.leaves(state.params)[0].dtype
        scores = jnp.zeros((len(marks), scored.shape[0]), dtype)
        if marks[0] == begin:
            scores = scores.at[0].set(scores_of(state))
        index = jnp.arange(begin, schedule.steps, dtype=jnp.int32)
        steps = Steps(index, batches_of(key, schedule)[begin:])
        (state, scores), _ = jax.lax.scan(step, (state, scores), (steps, jnp.asarray(place)))
        return state, scores[np.searchsorted(marks, ends)]

    return rung


def _steps(schedule: Schedule, epochs: int) -> int:
    """Steps after some epochs; the first takes at least one."""
    return max(1, epochs * schedule.n // schedule.batch) if epochs else 0
