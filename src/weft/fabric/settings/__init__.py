"""The settings of appliances: what is saved, told, applied, and taken back. Nothing here starts or wires a machine."""
