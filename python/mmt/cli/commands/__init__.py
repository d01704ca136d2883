"""One file per subcommand; each has `register(app)`."""
