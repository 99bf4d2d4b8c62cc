"""People who sign in by the command line, for curl and programs: logins and their tokens."""
