"""The structural model: structure read off a ``pm.Model``, interventions, noise form."""
