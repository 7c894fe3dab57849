"""A Hugging Face ViT, called by keyword and returning an output object, trained with Manifold Mixup.

Rows of the batch are replaced by their mix, and the labels with them (Section 2). Needs `pip install mmgan[examples]`.
Run it as: python examples/huggingface_vit.py
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from transformers import ViTConfig, ViTForImageClassification

from mmgan import Mixed, PermutationPolicy

LAYERS = "pixel,vit.embeddings,vit.layers.0,vit.layers.1"
TRAIN = 1500
"""Images to train with; the other 297 are held out."""


def main(steps: int = 300, batch: int = 64) -> tuple[nn.Module, list[dict]]:
    torch.manual_seed(0)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1  # (1797, 1, 8, 8)
    labels = torch.tensor(digits.target)  # (1797,)

    config = ViTConfig(
        image_size=8,
        patch_size=2,
        num_channels=1,
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=96,
        num_labels=10,
    )
    # Mixing, 1 of 2: wrap the model, and choose the law. `net(...)` returns what the model returns.
    net, policy = Mixed(ViTForImageClassification(config), LAYERS), PermutationPolicy(LAYERS, alpha=2.0)

    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=max(steps, 1))
    history = []
    net.train()
    for step in range(steps):
        rows = torch.randint(TRAIN, (batch,))
        x, y = images[rows], F.one_hot(labels[rows], 10).float()

        # Mixing, 2 of 2: draw the plan of this step, pass it to the model, and mix the labels with it.
        plan = policy.draw(batch, step)
        output = net(pixel_values=x, plan=plan)
        loss = F.cross_entropy(output.logits, plan.replace(y))

        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        history.append({"loss": loss.item()})
        if step % 30 == 0 or step == steps - 1:
            print(f"step {step:4d}  loss {loss.item():6.3f}  mixed at {plan.layer}, lam {plan.lam[0].item():.2f}")

    net.eval()
    with torch.no_grad():
        right = net(pixel_values=images[TRAIN:]).logits.argmax(1) == labels[TRAIN:]
    print(f"held-out accuracy {right.float().mean().item():.1%} of {len(right)} images")
    return net, history


if __name__ == "__main__":
    main()
