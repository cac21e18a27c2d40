"""Draw texts: the engines that a configuration can name, and what they share."""
