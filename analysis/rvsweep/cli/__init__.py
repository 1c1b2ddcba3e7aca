"""The commands: functions of their arguments that return the exit code."""
