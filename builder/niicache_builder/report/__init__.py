"""How a build, a verification and statistics look to people and to programs."""
