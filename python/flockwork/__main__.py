"""What `flockwork stream` starts as mapper and reducer: `python FOLDER/flockwork/__main__.py ROLE PLACE ...`. Not for people."""

import os
import sys

# This package is found beside this file, whatever the worker's environment says; and nothing of it under a name without the package's.
sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from flockwork import worker  # noqa: E402

if len(sys.argv) < 3 or sys.argv[1] not in ("map", "map-raw", "reduce"):
    sys.exit("flockwork: this is what workers start; write `import flockwork` in a script of your own, as docs/python.md tells")
sys.exit(worker.main(sys.argv[1:]))
