"""Mutants of the service under test: wrong behaviours that a storm must report as failed.

``make mutants`` runs each one in the storm in which it should show. `patching` puts a mutant into
the server workers, `registry` holds the list, `runner` runs and judges. Nothing here is installed.
"""
