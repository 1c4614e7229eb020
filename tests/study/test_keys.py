"""Keys of a study file: strict, and each said in words."""

import pytest
from pydantic import BaseModel, ValidationError

from corticode.study import keys as study_keys

MODELS = [
    model
    for model in vars(study_keys).values()
    if isinstance(model, type) and issubclass(model, BaseModel) and model is not BaseModel
]


@pytest.mark.parametrize("model", MODELS)
def test_every_value_is_described(model):
    for name, field in model.model_fields.items():
        is_table = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        assert field.description or is_table or "Keys" in str(field.annotation), name


@pytest.mark.parametrize(
    "given",
    [{"name": ""}, {"name": 3}, {"name": "gru", "windows": {}}, {"name": "gru", "folds": []}],
)
def test_conditions_are_read_strictly(given):
    with pytest.raises(ValidationError):
        study_keys.ConditionKeys.model_validate(given)
