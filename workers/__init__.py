"""Workers: claim turns, speak them through warm vendor sockets, publish their audio."""
