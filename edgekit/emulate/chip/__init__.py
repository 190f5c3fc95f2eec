"""Emulated microcontrollers: the very ELF that a user flashes, run and counted."""
