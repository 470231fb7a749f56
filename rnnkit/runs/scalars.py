"""The scalars of a record, by the names under which loggers draw them."""

from rnnkit.training.record import Record


class Scalars:
    """Turns records into scalars: loss, metric, gradient norm, tokens per second since the record before; loss and
    metric of validations under `validation/`.

    Args:
        metric_name: what the metric is called (`Task.metric_name`).
        resumed: whether training goes on from a checkpoint, whose pace is not known before the second record.
    """

    def __init__(self, metric_name: str, *, resumed: bool) -> None:
        self._metric_name = metric_name
        self._before = None if resumed else (0, 0.0)  # tokens and seconds of the record before

    def of(self, record: Record) -> dict[str, float]:
        """Return those of a record; each is to be asked for once, in order."""
        scalars = {"loss": record.loss, self._metric_name: record.metric, "gradient norm": record.gradient_norm}
        if self._before is not None and record.seconds > self._before[1]:
            scalars["tokens per second"] = (record.tokens - self._before[0]) / (record.seconds - self._before[1])
        self._before = record.tokens, record.seconds
        if record.validation is not None:
            scalars["validation/loss"] = record.validation.loss
            scalars[f"validation/{self._metric_name}"] = record.validation.metric
        return scalars
