"""The words of the domain: frozen data, ports and errors. Imports nothing of Imagewright but itself."""
