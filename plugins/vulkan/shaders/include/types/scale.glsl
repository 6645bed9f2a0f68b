// What every quantised type gives, for group g of its planes:
//   load_quants  8 words of signed bytes: low[p] holds elements 4p..4p+3, high[p] 16+4p..16+4p+3
//   load_part    low[p] and high[p] alone
//   load_scale   element = scale * byte - minimum, with one scale for each half of the group
struct GroupScale {
    float low, high, minimum;
};
