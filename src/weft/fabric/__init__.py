"""Controllers: carry plans out, watch what runs, adopt it after a restart. The only package that acts."""
