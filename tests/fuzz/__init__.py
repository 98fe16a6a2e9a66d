"""Parsers of what others may write, given what nobody would: any bytes give a value or the parser's own error, soon."""
