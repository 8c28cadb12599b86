"""Container images of the real node, built from package registries alone.

They stand in for images that cannot be pulled everywhere, under those images' real names;
a node looks for a name here first and in its real registry after that. What they share
with the real ones is the contract that the program relies on (variables, paths, ports, any
user id, a read-only root), not their files: that a pod works here proves nothing about the
vendor's own entry points.
"""
