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


def test_operations_are_those_of_each_call() -> None:
    shared = torch.nn.Linear(8, 8)
    first = [torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(4 * 36, 8)]
    model = torch.nn.Sequential(*first, shared, shared)
    rows = summary_model(model, [1, 3, 8, 8])
    assert [row["name"] for row in rows] == ["0", "1", "2", "3", "3"]
    assert rows[0]["flops"] == 2 * (4 * 36) * 27 + 4 * 36
    assert rows[1]["flops"] == 0
    assert [row["flops"] for row in rows[3:]] == [2 * 64 + 8] * 2


def test_modules_with_several_inputs_and_keywords() -> None:
    class Attends(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = torch.nn.MultiheadAttention(16, 2, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.attention(x, x, value=x, need_weights=False)[0]

    row = summary_model(Attends(), [1, 5, 16], [torch.nn.MultiheadAttention])[0]
    assert row["input_shapes"] == [[1, 5, 16]] * 3
    assert row["parameters"] == 4 * 16 * 16 + 4 * 16
    assert row["flops"] > 2 * 5 * 4 * 16 * 16
