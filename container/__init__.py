"""What runs in the image: nginx as the only door, TorchServe behind it, an agent that knows.

    entrypoint --starts, watches, drains--> nginx (all interfaces), TorchServe (loopback)
    monitor    --asks once a second------> TorchServe's management, and a canary explanation
    health     --decides from that-------> startup, ready, live
    agent      --tells (loopback)--------> probes, HEALTHCHECK, metrics

Standard library only, so that the image needs nothing for it.
"""
