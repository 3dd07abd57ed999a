//! What the world decides, handed in: clock, entropy, disk, network.
