import torch

from mmt.parser import summary_model


def test_modules_in_execution_order_with_shapes_and_parameters() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    rows = summary_model(model, [1, 3, 8, 8])
    assert [row["class"] for row in rows] == ["torch.nn.Conv2d", "torch.nn.ReLU"]
    assert rows[0]["input_shapes"] == [[1, 3, 8, 8]]
    assert rows[0]["output_shapes"] == [[1, 4, 6, 6]]
    assert rows[0]["parameters"] == 3 * 4 * 9 + 4
    assert model.training


def test_only_the_classes_asked_for() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    assert [row["name"] for row in summary_model(model, [1, 3, 8, 8], [torch.nn.ReLU])] == ["1"]
