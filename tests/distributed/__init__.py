"""Many workers on stores of many machines, harmed on purpose, and the histories of their clients.

``make distributed`` runs it. Each scenario records what its clients saw as lines of JSON; two
judges that share no code read the same lines, and must agree.
"""
