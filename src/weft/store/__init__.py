"""Where the state lives: one contract, one implementation. Knows keys and values, not what they mean."""
