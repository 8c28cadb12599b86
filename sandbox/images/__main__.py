"""``python -m sandbox.images [NAME...]``: build images and serve them under their names."""

import sys

from sandbox.images.make import make

if __name__ == "__main__":
    make(sys.argv[1:], lambda line: print(line, flush=True))
