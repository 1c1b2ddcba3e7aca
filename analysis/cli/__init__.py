"""The commands: each a function main(arguments) -> exit code, 0 done, 2 bad usage or input with one message on stderr."""
