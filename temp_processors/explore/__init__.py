"""The live page: temperature on a real model, several policies side by side (`temp-processors explore`)."""
