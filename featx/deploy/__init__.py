"""A fitted head and its backbone as one file that runs without featx, checked against featx."""

from featx.deploy.parity import TOLERANCE, Parity
from featx.deploy.place import GRAPHS
from featx.deploy.run import Deployed, deploy

__all__ = ["GRAPHS", "TOLERANCE", "Deployed", "Parity", "deploy"]
