"""Which axis of an expression lies along which dim, and whether an equation mixes units."""
