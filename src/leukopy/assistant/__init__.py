"""A read-only door for assistants: the Model Context Protocol (extra ``mcp``). It calls workflows alone."""
