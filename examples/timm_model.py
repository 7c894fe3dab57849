"""A timm model with timm's optimizer, schedule and soft-label loss, trained with Manifold Mixup.

What timm's own `Mixup` does to the images, the plan does at a layer; the loop is otherwise timm's. The model has
BatchNorm, which mode "replace" (Section 2) allows. Needs `pip install mmgan[examples]`.
Run it as: python examples/timm_model.py
"""

import timm
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from timm.loss import SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from timm.utils import AverageMeter, accuracy
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from mmgan import Mixed, PermutationPolicy

LAYERS = "pixel,maxpool,layer1,layer2"
CLASSES = 10


def train_one_epoch(epoch, net, policy, loader, optimizer, loss_fn, scheduler, steps, history) -> float:
    net.train()
    losses = AverageMeter()
    for index, (x, target) in enumerate(loader):
        update = epoch * len(loader) + index
        if update == steps:
            break
        # Mixing, 2 of 2: draw the plan of this step, pass it to the model, and mix the labels with it.
        plan = policy.draw(len(x), update)
        output = net(x, plan=plan)
        loss = loss_fn(output, plan.replace(F.one_hot(target, CLASSES).float()))

        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step_update(update + 1)
        losses.update(loss.item(), len(x))
        history.append({"loss": loss.item()})
    return losses.avg


@torch.no_grad()
def validate(net, loader) -> float:
    net.eval()
    top1 = AverageMeter()
    for x, target in loader:
        top1.update(accuracy(net(x), target)[0].item(), len(x))
    return top1.avg


def main(steps: int = 120, batch: int = 64) -> tuple[nn.Module, list[dict]]:
    torch.manual_seed(0)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    images = F.interpolate(images, scale_factor=4, mode="bilinear")  # (1797, 1, 32, 32)
    labels = torch.tensor(digits.target)  # (1797,)
    train = DataLoader(TensorDataset(images[:1500], labels[:1500]), batch, shuffle=True, drop_last=True)
    held_out = DataLoader(TensorDataset(images[1500:], labels[1500:]), batch)

    # Mixing, 1 of 2: wrap the model, and choose the law.
    model = timm.create_model("test_resnet", num_classes=CLASSES, in_chans=1)
    net, policy = Mixed(model, LAYERS), PermutationPolicy(LAYERS, alpha=2.0)

    # timm asks the model itself which parameters take no weight decay.
    optimizer = create_optimizer_v2(model, opt="adamw", lr=2e-3, weight_decay=0.05)
    scheduler = CosineLRScheduler(optimizer, t_initial=max(steps, 1), lr_min=1e-5, t_in_epochs=False)
    loss_fn = SoftTargetCrossEntropy()
    history = []
    epochs = -(-steps // len(train))
    for epoch in range(epochs):
        loss = train_one_epoch(epoch, net, policy, train, optimizer, loss_fn, scheduler, steps, history)
        print(f"epoch {epoch}  loss {loss:.3f}  held-out accuracy {validate(net, held_out):.1f} %")
    return net, history


if __name__ == "__main__":
    main()
