"""A rung: a stretch of epochs of a run, from where it stopped, scored after every epoch."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxbias.models import Head, Network
from jaxbias.training.run import Steps, TrainingSet, advance, batches_of, make_score
from jaxbias.training.schedule import Hyper, Schedule
from jaxbias.training.step import State, Step
from jaxbias.training.stores import Store


def make_rung(
    network: Network | Head, schedule: Schedule
) -> Callable[..., tuple[State, jax.Array]]:
    """Makes any stretch of epochs of a run.

    Rungs one after another are the uninterrupted run, to the bit: all are one program, which is
    told at run time where to begin and to end, for XLA may round otherwise in a program of fewer
    steps. The batches of a shorter schedule are the first ones of a longer, and no step looks at
    the run's length.

    Args:
      network: the architecture, or a head whose `images` are stored features float[N, F].
      schedule: of the longest run, by plain ERM.

    Returns:
      `rung(state, examples, hyper, key, scored, images, span) -> (state, scores)`: `scored`
      int32[M] are rows of `images`; `span` int32[2] are the epochs trained before the rung and in
      the end; scores float[epochs, M, outputs] are logits after each epoch, 0 after those that are
      not of the rung. The learning rate must not depend on the run's length.
    """
    step, score = Step(network, schedule), make_score(network)
    # A small n fills batches across epochs: one may have no step.
    ends = [schedule.steps_after(epochs) for epochs in range(schedule.epochs + 1)]

    def rung(
        state: State,
        examples: TrainingSet,
        hyper: Hyper,
        key: jax.Array,
        scored: jax.Array,
        images: Store | jax.Array,
        span: jax.Array,
    ) -> tuple[State, jax.Array]:
        steps, after = Steps(batches_of(key, schedule)), jnp.asarray(ends, jnp.int32)

        def epoch(i: jax.Array, carry: tuple[State, jax.Array]) -> tuple[State, jax.Array]:
            state, scores = carry
            span = (after[i], after[i + 1])
            state = advance(step, state, steps, span, examples, hyper, key, images)
            return state, scores.at[i].set(score(state.params, scored, images))

        shape = (schedule.epochs, scored.shape[0], network.outputs)
        scores = jnp.zeros(shape, state.loss.dtype)
        return jax.lax.fori_loop(span[0], span[1], epoch, (state, scores))

    return rung
