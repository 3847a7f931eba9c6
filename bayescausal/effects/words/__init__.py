"""An effect in numbers, sentences and tables."""

import bayescausal.effects.estimands  # noqa: F401  their parts are what the words are about
