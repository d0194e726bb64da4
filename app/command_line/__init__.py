"""What each command takes: options and their help. Light imports alone; the work is in `app/commands/`."""
