"""A scikit-learn transformer from images to frozen features, cached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags

from featx import catalog
from featx._types import Silent
from featx.backbones import BackboneRequest
from featx.embedding import How, embed
from featx.errors import ImageError
from featx.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal, Self

    from featx._types import Float32s, PathLike


class Embedder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Turn images into the vectors of a frozen backbone.

    Nothing is learned from the data, so a fold cannot leak through it. Vectors are cached by the
    bytes of each image: in a grid search every image is computed once, by whichever process comes
    first.

    Parameters
    ----------
    backbone, layer, pool, image_size, weights
        As `featx.extract` takes them; None for the backbone's default.
    cache
        The cache folder; None for ``FEATX_CACHE``, else ``cache``.
    write
        Whether new vectors are cached.
    device, precision, batch_size
        How to compute.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import LinearSVC
    >>> model = make_pipeline(Embedder("vgg16"), LinearSVC())  # then model.fit(paths, labels)
    """

    def __init__(
        self,
        backbone: Any = "vgg16",
        *,
        layer: str | None = None,
        pool: str | None = None,
        image_size: int | Literal["weights"] | None = None,
        weights: PathLike | None = None,
        cache: PathLike | None = None,
        write: bool = True,
        device: str = "auto",
        precision: str = "auto",
        batch_size: int | None = None,
    ) -> None:
        self.backbone = backbone
        self.layer = layer
        self.pool = pool
        self.image_size = image_size
        self.weights = weights
        self.cache = cache
        self.write = write
        self.device = device
        self.precision = precision
        self.batch_size = batch_size

    def fit(self, X: Sequence[Any], y: Any = None) -> Self:  # noqa: ARG002  # scikit-learn's contract
        """Do nothing: the backbone is frozen.

        Parameters
        ----------
        X
            (n,) images: paths, bytes, Pillow images or arrays.
        y
            Not used.
        """
        return self

    def transform(self, X: Sequence[Any]) -> Float32s:
        """Give the vectors of (n,) images as (n, d) float32, in order.

        Raises
        ------
        ImageError
            If an image is bad: a row cannot be left out here.
        """
        request = BackboneRequest(
            name=self.backbone,
            layers=() if self.layer is None else (self.layer,),
            poolings=() if self.pool is None else (self.pool,),
            image_size=self.image_size,
            weights=None if self.weights is None else str(self.weights),
        )
        how = How(
            device=self.device,
            precision=self.precision,
            batch_size=self.batch_size,
            write=self.write,
            raise_on_error=True,
        )
        cache = catalog.cache_dir(self.cache)
        source = open_source(X, shards=catalog.shards_dir(cache))
        found = embed(source, request, cache, how, Silent())
        bad = [i for i, reason in enumerate(found.reasons) if reason is not None]
        if bad:
            raise ImageError(
                f"{found.manifest.path[bad[0]]}: {found.reasons[bad[0]]}; each image must give a "
                f"row here: leave out this one (bad in all: {len(bad)} of {len(found.reasons)})"
            )
        return found.X  # no image is bad, so there is one row an image, in order

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.no_validation = True
        return tags
