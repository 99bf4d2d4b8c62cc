"""What each rival is asked to do; a module is imported only in its rival's environment."""
