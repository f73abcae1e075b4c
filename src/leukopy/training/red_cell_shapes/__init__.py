"""Training of the network that names the shapes of red cells."""
