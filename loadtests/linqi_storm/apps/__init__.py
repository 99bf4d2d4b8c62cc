"""The applications under test, one worker of each kind, and what they tell of themselves."""
