"""Where a packet would go, hop by hop: decided from what is on record and what was seen. No input or output."""
