"""The console command: one file a subcommand."""

from temp_processors.cli.app import main as main
