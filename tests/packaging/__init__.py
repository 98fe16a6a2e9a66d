"""What is made for installing: manual pages and Debian packages."""
