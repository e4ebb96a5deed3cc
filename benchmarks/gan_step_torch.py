"""The same as `gan_step.py` in plain PyTorch, as its DCGAN example writes it."""

import time

import torch
from torch import nn

_BATCH, _STEPS = 64, 400

torch.set_num_threads(1)
torch.manual_seed(0)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(64, 7 * 7 * 64, bias=False)
        self.body = nn.Sequential(
            nn.BatchNorm2d(64),
            nn.ReLU(True),
            nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(True),
            nn.ConvTranspose2d(32, 1, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, latent):
        return self.body(self.dense(latent).view(-1, 64, 7, 7).contiguous(memory_format=torch.channels_last))


generator = Generator().to(memory_format=torch.channels_last)
discriminator = nn.Sequential(
    nn.Conv2d(1, 32, 4, 2, 1),
    nn.LeakyReLU(0.2, True),
    nn.Conv2d(32, 64, 4, 2, 1, bias=False),
    nn.BatchNorm2d(64),
    nn.LeakyReLU(0.2, True),
    nn.Flatten(),
    nn.Linear(7 * 7 * 64, 1),
).to(memory_format=torch.channels_last)
images = torch.randint(0, 256, (6400, 1, 28, 28), dtype=torch.uint8)
loss = nn.BCEWithLogitsLoss()
optimizers = [
    torch.optim.Adam(network.parameters(), 2e-4, betas=(0.5, 0.999)) for network in (generator, discriminator)
]
ones, zeros = torch.ones(_BATCH, 1), torch.zeros(_BATCH, 1)


def step():
    rows = torch.randint(0, len(images), (_BATCH,))
    real = images[rows].float() / 127.5 - 1
    fake = generator(torch.randn(_BATCH, 64))
    optimizers[1].zero_grad()
    (loss(discriminator(real), ones) + loss(discriminator(fake.detach()), zeros)).backward()
    optimizers[1].step()
    optimizers[0].zero_grad()
    loss(discriminator(fake), ones).backward()
    optimizers[0].step()


for steps in (20, _STEPS):
    start = time.process_time()
    for _ in range(steps):
        step()
    seconds = time.process_time() - start
print(_STEPS * _BATCH / seconds)
