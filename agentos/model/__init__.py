"""The nouns of AgentOS and their rules: values in, values out; no files, no git, no clock."""
