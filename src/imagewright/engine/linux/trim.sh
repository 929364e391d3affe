# Give freed blocks back to the disk: what was deleted is then not in the image, where the file system can do this.
sync
fstrim -a 2>/dev/null || fstrim / 2>/dev/null
