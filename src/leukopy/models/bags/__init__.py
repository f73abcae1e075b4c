"""Networks of patients: many cells and two clinical numbers in, one log-odds of tumoral out (torch)."""

from leukopy.models.bags.bag_net import BagNet
from leukopy.models.bags.contract import BagOutput, BagShape
from leukopy.models.bags.experts import Experts
from leukopy.models.bags.picture_bag import PictureBag
from leukopy.models.bags.registry import BAG_NETS, BagEntry

__all__ = ["BAG_NETS", "BagEntry", "BagNet", "BagOutput", "BagShape", "Experts", "PictureBag"]
