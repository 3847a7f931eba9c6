"""What the priors do to an answer."""
